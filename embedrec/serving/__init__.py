"""The HTTP service: `embedrec serve`. Only this room imports the web server."""
