// The one file of the target that owns the precompiled torch header; other targets reuse it.
