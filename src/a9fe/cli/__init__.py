"""The commands people type. `main` has the table of them.

It decides nothing about networks or metadata: it reads arguments, calls the API or a process's
room, and prints. Kernel effects and other programs are `linux`'s. Errors are one line on stderr.
"""
