"""Read metadata with boto's IMDSv2 client and print it as JSON.

usage: imds_boto.py, by the Python that has botocore. It is set up as boto3 does: it gets a token
first and sends requests with it; without a token it would fall back to IMDSv1.
"""

import json
import os
import sys

from botocore.utils import IMDSFetcher, InstanceMetadataFetcher, InstanceMetadataRegionFetcher

settings = {"timeout": 5, "num_attempts": 3, "env": dict(os.environ), "user_agent": "a9fe-test"}
fetcher = IMDSFetcher(**settings)
token = fetcher._fetch_metadata_token()


def is_final(response: object) -> bool:
    return False


answer = fetcher._get_request("latest/meta-data/instance-id", is_final, token=token)
found = {
    "token": token,
    "instance_id": answer.text,
    "region": InstanceMetadataRegionFetcher(**settings).retrieve_region(),
    "credentials": InstanceMetadataFetcher(**settings).retrieve_iam_role_credentials(),
}
sys.stdout.write(json.dumps(found))
