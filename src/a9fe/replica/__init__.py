"""What a host knows: its part of the model, following the change feed, kept on disk.

    replica = open_for(config, "l3")                           # what was known at the last stop
    await follow(replica, connector(config, "l3"), clock)      # for ever
    replica.get("port", id), .all("port"), .ports_by_address(network_id, ip), .freshness(now)
    async with confirmer_of(config, "l3", replica, clock) as confirmer:
        await confirmer.certain()                              # before a 404

It only stores what is known and how fresh it is; it neither plans a host nor identifies guests.
Lost, doubled or reordered events end in the same state; a snapshot replaces everything at once.
Only the event loop's thread uses it.
"""

from a9fe.replica.confirmer import confirmer_of as confirmer_of
from a9fe.replica.feed_follower import connector as connector
from a9fe.replica.feed_follower import follow as follow
from a9fe.replica.feed_follower import open_for as open_for
from a9fe.replica.feed_follower import path_of as path_of
from a9fe.replica.lookups import ReplicaUnreadable as ReplicaUnreadable
from a9fe.replica.replica import Replica as Replica
