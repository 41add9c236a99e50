{{ measured_trips() }}
