"""Tables beside the resources. Except tags, they are not part of what agents follow."""
