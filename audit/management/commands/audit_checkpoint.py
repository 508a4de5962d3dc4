from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.checkpoints import CheckpointRefused, checkpoint, file_unfiled


class Command(BaseCommand):
    help = "Signs a checkpoint over all events of this moment, appends it to PIM_AUDIT_CHECKPOINT_FILE, and prints it."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = checkpoint()
            file_unfiled()
        except CheckpointRefused as refusal:
            raise CommandError("\n".join(refusal.messages)) from refusal
        except OSError as failure:
            raise CommandError(f"Signed, but not written to the file; the worker tries again. {failure}") from failure
        self.stdout.write(made.note, ending="")
