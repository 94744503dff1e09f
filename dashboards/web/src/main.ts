import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { apply } from './lib/theme.svelte';

apply();
const target = document.getElementById('app');
if (target) mount(App, { target });
