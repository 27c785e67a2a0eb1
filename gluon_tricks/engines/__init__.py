"""Who computes, and what sum of gradients arrives."""
