//! The run with a cluster: the real API server and the real controller.
