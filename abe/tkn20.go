package abe

import (
	"errors"

	"github.com/veilchart/veilchart/internal/wire"
)

const maxTKN20Public = 8 << 10

var errNoTKN20 = errors.New("abe: TKN20 is not there yet: choose FABEO")

func decodeTKN20Public(d *wire.Decoder) public {
	d.Failf("%v", errNoTKN20)
	return nil
}

func decodeTKN20Master(d *wire.Decoder) master {
	d.Failf("%v", errNoTKN20)
	return nil
}

func generateTKN20() (master, error) { return nil, errNoTKN20 }
