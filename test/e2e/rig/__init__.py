"""What the end-to-end tests share: a quorum of real daemons, a client and a host of their own.

Nothing here uses the product's code: stamps, documents, frames and verification are written a
second time, so that the tests can also say what no correct program would say.
"""
