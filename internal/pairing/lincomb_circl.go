//go:build !cgo || purego

package pairing

const strausPoints = 256 // in one chain: bounds the memory to 180 KiB

func linComb(points []G1, weights []Weight) pointG1 {
	sum := identityG1()
	for len(points) > 0 {
		n := min(len(points), strausPoints)
		part := straus(points[:n], weights[:n])
		sum.Add(&sum, &part)
		points, weights = points[n:], weights[n:]
	}
	return sum
}
