# SPDX-License-Identifier: Apache-2.0
"""What bench/run is made of: machine, build, servers, client, scenarios, targets, report."""
