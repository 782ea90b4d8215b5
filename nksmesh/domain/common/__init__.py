"""What every wing of the domain uses: errors, events, findings, durations, spelling."""
