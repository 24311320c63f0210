"""`embedrec refresh`: new events into sessions, models and indexes, measured, and put in place in one switch."""
