"""The filters of the bridges: which devices are known, and which frames they may send."""
