"""One trick, one file: pure functions, each with its formula, the paper's and GluonCV's."""
