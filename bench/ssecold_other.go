//go:build !linux

package main

import "github.com/veilchart/veilchart/bench/measure"

func dropPages(string) error {
	return measure.Skip("the page cache is emptied on Linux only")
}
