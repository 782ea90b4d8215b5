"""The sandbox: a real Kubernetes control plane on this machine, without root or containers.

etcd, the API server, the controller manager and the scheduler are the real programs; kwok simulates
nodes and pods; the agent answers for what simulated pods cannot do. ``Sandbox`` is the way in.
"""
