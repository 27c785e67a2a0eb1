"""An extension of Griffe: the docstring of a module keeps its indentation.

Griffe takes away the indentation that all lines but the first have in common. In a module's docstring that
indentation makes a formula or an example a block of code.
"""

import ast

from griffe import Extension


class IndentedModuleDocstrings(Extension):
    """Give the docstrings of modules back as they are written."""

    def on_module_instance(self, *, node, mod, **_):
        if mod.docstring and isinstance(node, ast.Module):
            mod.docstring.value = ast.get_docstring(node, clean=False)
