"""Identity documents and tokens of instances, and the schedule of the keys that sign them."""
