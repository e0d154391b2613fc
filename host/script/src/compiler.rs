fn main() {
    let c = wasmtime::Config::new();
    let e = wasmtime::Engine::new(&c).unwrap();
    let _ = e.precompile_component(&[]);
}
