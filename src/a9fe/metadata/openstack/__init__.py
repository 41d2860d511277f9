"""The OpenStack tree: its paths, network_data.json and vendor data."""
