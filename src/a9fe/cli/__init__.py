"""The command line. `main` has the table of commands.

Commands parse arguments, call the API or a process's room, and print. They decide nothing about
networks or metadata. Only `linux` changes the kernel or runs programs. An error is one line on
stderr.
"""
