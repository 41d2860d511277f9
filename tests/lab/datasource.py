"""Run cloud-init's datasource class in this namespace and print what it found as JSON.

usage: datasource.py OpenStack|OpenStackLocal|Ec2 [METADATA-URL...], by the Python that has
cloud-init's imports and with cloud-init on PYTHONPATH. cloud-init is not changed: the environment
of the guest's first process has the product name that its detection looks for in a container.
"""

import importlib
import json
import os
import sys
import tempfile

from cloudinit import distros, helpers

which = sys.argv[1]
plain = which.removesuffix("Local")
module = importlib.import_module(f"cloudinit.sources.DataSource{plain}")
work = tempfile.mkdtemp(dir="/run")
os.mkdir(f"{work}/run")
paths = helpers.Paths({"cloud_dir": f"{work}/cloud", "run_dir": f"{work}/run"})
distro = distros.fetch("debian")("debian", {}, paths)
settings = {
    "datasource_list": [plain, "None"],
    "datasource": {
        "OpenStack": {"max_wait": 30, "timeout": 10, "retries": 5},
        "Ec2": {
            "max_wait": 30,
            "timeout": 10,
            "strict_id": False,
        },  # the DMI of this machine is not Amazon's
    },
}
if sys.argv[2:]:
    settings["datasource"][plain]["metadata_urls"] = sys.argv[2:]
source = getattr(module, f"DataSource{which}")(settings, distro, paths)
found = source.get_data()
answer = {"found": found}
if found:
    answer |= {
        "instance_id": source.get_instance_id(),
        "hostname": str(source.get_hostname()),
        "keys": source.get_public_ssh_keys() or [],
        "user_data": (source.get_userdata_raw() or b"").decode(),
        "network": getattr(source, "network_json", None) or {},
        "network_config": source.network_config if plain == "Ec2" else {},
    }
sys.stdout.write(json.dumps(answer, default=str))
sys.exit(0 if found else 1)
