"""Two stages: several models retrieve candidates, and one model ranks them."""
