"""What a VM can read: the EC2 and OpenStack trees, from one table of paths.

Pure: an instance with its ports in, bytes out. Random bytes come as an argument; files are never
read. It has no HTTP except content types and entity tags, and reads only the instance of the view.
Contract: Nova's metadata API (trees, versions, listings, content types); a module says where it
differs on purpose.
"""
