"""Run cloud-init's ConfigDrive or NoCloud on a directory and print what it found as JSON.

usage: seeded.py ConfigDrive|NoCloud DIRECTORY, by the Python that has cloud-init's imports and
with cloud-init on PYTHONPATH. The directory replaces the mounted disk: both datasources look
for such a seed before they look at disks. cloud-init also parses the network configuration, with
network cards named eth0, eth1 and so on.
"""

import importlib
import json
import shutil
import sys
import tempfile

from cloudinit import distros, helpers
from cloudinit.net import network_state

which, directory = sys.argv[1:]
work = tempfile.mkdtemp()
seeds = {"ConfigDrive": "config_drive", "NoCloud": "nocloud"}
shutil.copytree(directory, f"{work}/cloud/seed/{seeds[which]}")
paths = helpers.Paths({"cloud_dir": f"{work}/cloud", "run_dir": f"{work}/run"})
distro = distros.fetch("debian")("debian", {}, paths)
module = importlib.import_module(f"cloudinit.sources.DataSource{which}")
source = getattr(module, f"DataSource{which}")({"datasource_list": [which]}, distro, paths)
if not source._get_data():  # get_data would write below /run
    sys.exit(1)
if which == "ConfigDrive":
    links = source.network_json["links"]
    source.known_macs = {link["ethernet_mac_address"]: f"eth{n}" for n, link in enumerate(links)}
state = network_state.parse_net_config_data(source.network_config)
answer = {
    "source": str(source),
    "instance_id": source.get_instance_id(),
    "hostname": str(source.get_hostname()),
    "keys": source.get_public_ssh_keys() or [],
    "user_data": (source.get_userdata_raw() or b"").decode(),
    "vendor_data": source.vendordata_raw,
    "interfaces": list(state.iter_interfaces()),
    "dns": state.dns_nameservers,
}
shutil.rmtree(work)
sys.stdout.write(json.dumps(answer, default=str))
