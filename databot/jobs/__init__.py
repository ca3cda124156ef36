"""Background work: jobs that outlive the process that runs them, and schedules that make jobs."""
