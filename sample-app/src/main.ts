import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

/** One replica. Start three of them; kill the one that ticks. */
const app = await NestFactory.create(AppModule, { logger: ['error', 'warn', 'log'] });
// SIGTERM and SIGINT close the application, and closing it hands leadership over.
app.enableShutdownHooks();
const port = process.env['PORT'] ?? 0;
// A pod is reached by its own address, a laptop by itself alone.
if (process.env['KUBERNETES_SERVICE_HOST']) await app.listen(port);
else await app.listen(port, '127.0.0.1');
