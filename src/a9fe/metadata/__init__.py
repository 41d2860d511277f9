"""What a VM may read: the EC2 and OpenStack trees, from one table of paths.

Pure: an instance with its ports in, bytes out; random bytes come as an argument, files never.
It knows no HTTP beyond a content type, and no instance but the one in its view. Spec: Nova's
metadata API (trees, versions, listings, content types); where Nova errs, the module says so.
"""
