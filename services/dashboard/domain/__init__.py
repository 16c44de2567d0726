"""What the page shows and decides, without the page: pure and synchronous."""
