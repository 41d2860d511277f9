"""What a host keeps in state_path: directories, the installation's id, secret and API tokens.

May import the modules of runtime.
"""
