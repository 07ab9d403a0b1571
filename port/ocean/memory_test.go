package ocean

import "testing"

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ live, other, want int64 }{
		{1 << 20, 5 << 20, roomyBytes},
		{20 << 20, 5 << 20, roomyBytes},
		{100 << 20, 10 << 20, 110<<20 + 18<<20},
	} {
		if got := memoryLimit(tt.live, tt.other); got != tt.want {
			t.Errorf("memoryLimit(%d, %d) = %d, want %d", tt.live, tt.other, got, tt.want)
		}
	}
	if live, other := readMemory(); live < 0 || other <= 0 {
		t.Errorf("readMemory = %d, %d", live, other)
	}
}
