"""The project's one application: customers who sign up and are welcomed by a task."""
