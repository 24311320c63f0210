"""The page to explore what is served: HTML, CSS and JavaScript modules, and what serves them."""
