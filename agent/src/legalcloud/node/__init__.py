"""What one node knows of itself: collectors, exposition and the signed statement."""
