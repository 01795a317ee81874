"""A device buffer as a trace has shown it.  What programs ask of it is not known here."""

from gpusim.runtime.commands import Role

STORAGE, UNIFORM, STAGING = Role.STORAGE.value, Role.UNIFORM.value, Role.STAGING.value


class Known:
    """A device buffer; ``user_bytes`` is -1 where no op allocated it."""

    __slots__ = ("content", "is_alive", "made_by", "number", "role", "size_bytes", "user_bytes")

    def __init__(self, number: int, role: str, size_bytes: int, made_by: int) -> None:
        self.number = number
        self.role = role
        self.size_bytes = size_bytes
        self.made_by = made_by
        self.user_bytes = -1
        self.is_alive = True
        self.content = None if role in (STORAGE, STAGING) else bytearray(size_bytes)
        """What a host write put there; kept where only host writes do."""
