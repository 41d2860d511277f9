"""SSH public keys."""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKpj3vZ6Tn9w0Jq1cX0m5Yx0T3uWm1gk3b5kq0s0f0aB me@desk"
