"""A client of `embedrec serve`: answers as typed structs, with retries.

>>> from embedrec.client import Client
>>> client = Client("http://127.0.0.1:8000")
>>> client.close()
"""

from embedrec.client.client import Client

__all__ = ["Client"]
