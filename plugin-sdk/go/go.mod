module wasmill.dev/plugin

go 1.26
