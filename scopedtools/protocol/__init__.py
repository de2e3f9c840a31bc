"""The Model Context Protocol as values: messages in, messages out, no sockets.

``envelope`` reads and writes JSON-RPC; ``revisions`` holds what differs between protocol revisions;
``methods`` lists every method with its parameters; ``results`` the shapes of answers; ``dispatch`` takes
a message through all of it.
"""
