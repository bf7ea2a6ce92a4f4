"""The raw forms of the data sets, a file a form: how to recognise it, list its rows, and read one row."""
