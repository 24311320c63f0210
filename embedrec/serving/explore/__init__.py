"""What the page needs beside the other routes: items by row, the effect of policies, the map, drift."""
