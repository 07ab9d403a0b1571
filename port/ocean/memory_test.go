package ocean

import "testing"

func TestCollectorPercent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		live, other int64
		want        int
	}{
		{0, 5 << 20, mostPercent},
		{1 << 20, 5 << 20, mostPercent},
		{20 << 20, 4 << 20, 40},
		{100 << 20, 10 << 20, leastPercent},
	} {
		if got := collectorPercent(tt.live, tt.other); got != tt.want {
			t.Errorf("collectorPercent(%d, %d) = %d, want %d", tt.live, tt.other, got, tt.want)
		}
	}
	if live, other := readMemory(); live < 0 || other <= 0 {
		t.Errorf("readMemory = %d, %d", live, other)
	}
}
