"""A process's copy of its part of the model: it follows the change feed and is kept on disk.

    replica = open_for(config, "l3")                           # as it was at the last stop
    await follow(replica, connector(config, "l3"), clock)      # until cancelled
    replica.get("port", id), .all("port"), .ports_by_address(network_id, ip), .freshness(now)
    async with open_with_confirmer(config, "metadata", clock) as (replica, confirmer):
        await confirmer.certain()                              # before a 404

It stores resources and how up to date they are; it neither plans a host nor identifies guests.
Lost, repeated or reordered events end in the same state; a snapshot replaces everything at once.
Only the event loop's thread may use it. May not import `linux`.
"""

from a9fe.replica.confirmer import open_with_confirmer as open_with_confirmer
from a9fe.replica.feed_follower import connector as connector
from a9fe.replica.feed_follower import follow as follow
from a9fe.replica.feed_follower import open_for as open_for
from a9fe.replica.feed_follower import path_of as path_of
from a9fe.replica.lookups import ReplicaUnreadable as ReplicaUnreadable
from a9fe.replica.replica import Replica as Replica
