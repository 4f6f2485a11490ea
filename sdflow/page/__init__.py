"""What stands behind the page: the service that its handlers call, its readout, its looks."""
