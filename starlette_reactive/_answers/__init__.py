"""What endpoints answer: values, and the responses made of them."""

__all__: list[str] = []
