"""The server that faces guests: sockets, connections, requests, and bounds on each guest."""
