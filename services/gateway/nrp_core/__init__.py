"""`NRPCoreSim`: a simulation for one published NRP-core client, over gRPC. NRP_CORE.md tells what it promises."""
