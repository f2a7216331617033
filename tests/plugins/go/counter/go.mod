module counter

go 1.26

require wasmill.dev/plugin v0.0.0

replace wasmill.dev/plugin => ../../../../plugin-sdk/go
